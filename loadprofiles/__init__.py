"""Load: profiles (one module each, plain Locust files) on the engine in `loadengine/`.

Importing anything here imports Locust, which patches the process: other rooms start `loadprofiles.run` as a
process of its own and never import this package.
"""
