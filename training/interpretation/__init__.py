"""How well interpretations are: on studio sequences with truth, on real smiles, beside votes."""
