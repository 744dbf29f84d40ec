"""`pneumonia web`: the page on a production WSGI server."""

import argparse
import logging
import signal
import sys
from typing import Any

from client.exit_codes import DONE, FAILED, USAGE
from client.web import prefix

_CONNECTIONS = 128  # a browser keeps up to six idle
_IDLE_SECONDS = 15
_THREADS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    from client.server_arguments import add_server_arguments

    parser.epilog = (
        "Research use only; not a medical device. Uploads are stored nowhere but with --log-pixels."
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 for all, with no password; default: %(default)s",
    )
    parser.add_argument("--port", type=_port, default=5000, help="default: %(default)s")
    parser.add_argument(
        "--trusted-proxy",
        metavar="ADDRESS",
        help="of the proxy in front: its X-Forwarded-For names the users, each with limits of "
        "their own; without it they share one's",
    )
    parser.add_argument(
        "--allowed-hosts",
        nargs="+",
        default=(),
        metavar="NAME",
        help="names under which browsers reach the page, besides localhost and --host's",
    )
    parser.add_argument(
        "--prefix",
        type=_prefix,
        default="",
        metavar="PATH",
        help="path of the proxy in front below which the page lies, such as /pneumonia; a proxy "
        "can send it as X-Forwarded-Prefix instead",
    )
    parser.add_argument(
        "--opinions",
        action="store_true",
        help="ask readers whether they agree, and keep it beside the request log; needs --log",
    )
    add_server_arguments(parser)


def _prefix(text: str) -> str:
    try:
        return prefix.checked(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not 1 <= (number := int(text)) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{number} is no port: they go from 1 to 65535")
    return number


def run(args: argparse.Namespace) -> int:
    """Serves the page until it is interrupted; returns the exit code."""
    try:
        import waitress
    except ImportError:
        print("pneumonia web: needs the packages of .[web]: pip install .[web]", file=sys.stderr)
        return FAILED

    from client.server_arguments import connect
    from client.web import intake
    from client.web.app import create_app
    from client.web.hosts import Hosts
    from client.web.limits import PageLimits
    from client.web.opinions import Opinions

    limits = PageLimits()
    if args.opinions and not args.log:
        return _complain("--opinions are kept beside the request log; give --log", USAGE)
    try:
        client = connect(args)
    except (OSError, ValueError) as error:
        return _complain(str(error), USAGE)
    with client:
        opinions = Opinions(args.log.parent) if args.opinions else None
        app = create_app(client, limits, Hosts(args.host, args.allowed_hosts), opinions)
        sockets: dict[int, Any] = {}
        try:
            server = waitress.create_server(
                prefix.Prefixed(app, args.prefix),
                map=sockets,
                host=args.host,
                port=args.port,
                threads=_THREADS,
                connection_limit=_CONNECTIONS,
                channel_timeout=_IDLE_SECONDS,
                cleanup_interval=_IDLE_SECONDS // 3,
                ident=None,
                recv_bytes=2**16,
                channel_request_lookahead=1,  # or a browser's leaving is noticed after the answer
                max_request_body_size=4 * limits.upload_bytes,  # further ones are not even read
                # Above these, waitress writes to temporary files; no X-ray may touch the disk.
                inbuf_overflow=limits.upload_bytes + 1,
                outbuf_overflow=4 * limits.upload_bytes,
                trusted_proxy=args.trusted_proxy,
                trusted_proxy_headers={"x-forwarded-for"} if args.trusted_proxy else set(),
                clear_untrusted_proxy_headers=True,
            )
        except (OSError, OverflowError, ValueError) as error:
            remedy = "name another with --host and --port"
            return _complain(f"{args.host}:{args.port}: {error}; {remedy}", FAILED)
        channel = intake.channel(limits.upload_bytes, limits.all_bytes, args.trusted_proxy)
        for listener in sockets.values():  # one, or one for each address of a name
            if hasattr(listener, "channel_class"):
                listener.channel_class = channel
        intake.give_back_what_is_freed()
        _set_up_log()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"The page is on http://{args.host}:{args.port}; Ctrl-C ends it.", flush=True)
        server.run()  # returns on an interrupt
        server.close()
    return DONE


def _complain(message: str, code: int) -> int:
    print(f"pneumonia web: {message}", file=sys.stderr)
    return code


def _set_up_log() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a full queue is answered with 503
