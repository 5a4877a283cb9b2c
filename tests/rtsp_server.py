"""An RTSP camera of GStreamer's own server, run by the system's Python, which has its bindings.

python3 rtsp_server.py PORT CLIP: prints the port (0 lets the system choose) and plays CLIP, an AVI of Motion JPEG, at
/camera until it is ended.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[2]} ! avidemux ! jpegdec ! videoconvert ! video/x-raw,format=I420 "
    "! jpegenc ! rtpjpegpay name=pay0 )"  # RTP carries no Huffman tables, so the JPEGs must have the usual ones.
)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
