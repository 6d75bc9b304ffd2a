"""User accounts, invitations and the account pages."""
