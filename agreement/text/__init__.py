"""Pure functions on strings: no database, no settings, no request, no clock."""
