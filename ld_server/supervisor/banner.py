"""What `ld-server up` says when everything serves: where, the first key, and three commands to paste."""

import json

from ld_server.rdf import vocab
from ld_server.settings import Settings

CLIENT_KEY = "LD_KEY"
"""The shell variable that stands for the key in printed commands. It belongs to the client and is no setting of ours."""

BANNER = """
ld-reservations serves at {address}
  resources are named under  {base_iri}
  data directory             {data_dir}
{key}
Create an item type, list the item types as Turtle, ask by SPARQL:

{commands}

Ctrl-C stops everything.
"""

NEW_KEY = """
First admin key, shown only this once:

  export LD_KEY={key}
"""

KNOWN_KEY = """
Use a key you have: export LD_KEY=…    A new one: ld-server keys create NAME --scopes admin
"""

CREATE = "curl -sS {address}/v1/catalog/item-types -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' -d '{body}'"
LIST = "curl -sS {address}/v1/catalog/item-types -H \"Authorization: Bearer {key}\" -H 'Accept: text/turtle'"
ASK = "curl -sS {address}/v1/sparql -H \"Authorization: Bearer {key}\" -H 'Accept: text/csv' --data-urlencode 'query={query}'"

QUERY = f"SELECT ?type ?name WHERE {{ ?type a <{vocab.PRODUCT}> ; <{vocab.NAME}> ?name }}"


def banner(settings: Settings, new_key: str | None, code: str) -> str:
    """The greeting. `code` is the item type code in the first command, which must be free for that command to work."""
    return BANNER.format(
        address=address_of(settings),
        base_iri=settings.base_iri,
        data_dir=settings.data_dir,
        key=NEW_KEY.format(key=new_key) if new_key else KNOWN_KEY,
        commands="\n\n".join(commands(address_of(settings), new_key or f"${CLIENT_KEY}", code)),
    )


def commands(address: str, key: str, code: str) -> list[str]:
    """Three shell commands that work when pasted. `key` is a key, or a word the shell expands to one."""
    body = json.dumps({"code": code, "name": "Timer node, second version", "kind": "serialized"})
    values = {"address": address, "key": key, "body": body, "query": QUERY}
    return [line.format(**values) for line in (CREATE, LIST, ASK)]


def address_of(settings: Settings) -> str:
    """Where the web server can be reached from this machine."""
    everywhere = {"127.0.0.1", "0.0.0.0", "::", "::1", "localhost"}  # noqa: S104 (names to translate)
    host = "localhost" if settings.host in everywhere else settings.host
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
