"""Does balancing help? An experiment that was registered before it ran and can say no: see README.md here."""
