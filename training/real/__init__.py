"""The examination on real faces: what the product makes of people it was not trained on."""
