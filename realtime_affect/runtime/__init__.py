"""The threads that run it all: workers, slots between them, what they measure of themselves."""
