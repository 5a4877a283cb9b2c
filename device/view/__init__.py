"""The live view: one small page with what the camera and the model see. Off unless config.yaml or --view says so.

Memory: 8 MB more than without it, 10 MB while one page is open (resident; x86-64, CPython 3.11, Tornado 6.6.1,
2026-11-24).

Tornado, rather than aiohttp (21 MB to import, nine packages, against 12 MB and one) or Starlette with Uvicorn and
websockets (15 MB, eight packages): one wheel for Python 3.8 on aarch64, a pure-Python build where there is no wheel
(32-bit boards), writes that can be awaited, time-outs and limits for what strangers send. Bottle with Waitress is
smaller (7 MB) but holds a thread for each open page.
"""
