"""The live view: one small page with what the camera and the model see. Off unless config.yaml or --view says so.

Memory: see `LiveView`. Tornado was chosen over aiohttp, Starlette with Uvicorn, and Bottle with Waitress: one wheel
without dependencies for Python 3.8 on aarch64 (and a pure-Python build for 32-bit boards), WebSockets whose writes
can be awaited, time-outs for slow headers, and nothing that needs a thread a client.
"""
