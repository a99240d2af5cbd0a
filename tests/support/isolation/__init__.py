"""What the walk over all routes needs: two projects, people and their keys, a thing of each kind, a body for each route."""
