"""After the training: choose an epoch, export, convert, write the card, check parity."""
