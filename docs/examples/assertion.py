# The same in Python, as WSGI. Needs PyJWT with cryptography.
#   CURFEW=https://gw.example.com RESOURCE=wiki python3 assertion.py
import os
from wsgiref.simple_server import make_server

import jwt

issuer = os.environ["CURFEW"]
audience = os.environ["RESOURCE"]
# Kept for five minutes, and fetched again when a key that is not there has signed.
keys = jwt.PyJWKClient(issuer + "/.well-known/curfew/identity-keys.json")


def person_of(environ):
    """Who sends the request. Raises PyJWTError when the gateway does not say so."""
    assertion = environ.get("HTTP_CURFEW_ASSERTION", "")
    return jwt.decode(
        assertion,
        keys.get_signing_key_from_jwt(assertion).key,
        algorithms=["ES256"],
        issuer=issuer,
        audience=audience,
        leeway=10,
        options={"require": ["sub", "role", "exp"]},
    )


def application(environ, start_response):
    try:
        person = person_of(environ)
    except jwt.PyJWTError:
        # The error says what was wrong: for your log, not for the answer.
        start_response("401 Unauthorized", [("Content-Type", "text/plain")])
        return [b"come in through the gateway\n"]
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{person.get('email', person['sub'])} is {person['role']} here\n".encode()]


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ.get("PORT", "8080")), application).serve_forever()
