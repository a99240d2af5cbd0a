"""The administration API: organization, projects, people, usage."""
