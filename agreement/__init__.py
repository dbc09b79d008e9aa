"""A Django app that publishes, seals and announces the editions of user agreements, and proves who accepted them."""
