"""A Django app that publishes the editions of user agreements, seals them (database triggers refuse later changes),
announces them, and proves who accepted them.
"""
