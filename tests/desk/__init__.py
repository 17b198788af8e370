"""Lanes, logins and the desk over a real database, a fake broker and virtual time; the app around them."""
