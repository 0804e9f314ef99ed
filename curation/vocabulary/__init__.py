"""Building vocabularies: the counted terms of WordNet, Wikipedia and plain lists, and the entries made of them."""
