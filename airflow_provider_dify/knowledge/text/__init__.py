"""What people write: names, hints for slips, masked secrets, packed ids."""
