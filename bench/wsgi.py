"""The sample service (src/time.rs) as plain WSGI."""

from time import strftime

PLAIN = ("Content-Type", "text/plain; charset=utf-8")


def application(environ, start_response):
    """Answer GET / with the time, and everything else with 404."""
    found = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == "/"
    body = (strftime("%a %b %e %T %Y") if found else "Not Found").encode()
    start_response("200 OK" if found else "404 Not Found", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]
