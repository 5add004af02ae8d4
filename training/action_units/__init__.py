"""The action unit network: data from the studio, training, evaluation, export."""
