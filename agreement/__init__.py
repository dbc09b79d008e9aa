"""Every edition of a site's user agreement, in Kazakh and Russian: published, sealed, announced, provable."""
