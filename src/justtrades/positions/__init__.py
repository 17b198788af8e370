"""What we hold and what is missing: pure values and the two functions over them."""
