"""Where we send and where we do not: a corpus of addresses, URLs and tricks."""

import pytest

from ld_server.services.addresses import AddressRefused, Allowed, allowed_by, check, connectable
from ld_server.settings import InvalidSetting, Settings

NOTHING = Allowed()


def resolving(*addresses: str):
    """A name service that gives these addresses for every host."""

    def resolve(_host, _port):
        if not addresses:
            raise OSError("unknown")
        return addresses

    return resolve


REFUSED_ADDRESSES = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.170.2", "172.16.0.1",
    "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1",
    "::127.0.0.1",    "::ffff:169.254.169.254", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1", "2002:7f00:1::", "2002:a00:1::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1", "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1", "3fff::1", "5f00::1", "4000::1", "not an address",
]  # fmt: skip

PUBLIC_ADDRESSES = [
    "93.184.215.14",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "64:ff9b::1.1.1.1",
    "2002:101:101::1",
    "::ffff:1.1.1.1",
]


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
def test_a_name_that_leads_inside_is_refused_when_it_is_registered_and_when_it_is_connected_to(address):
    with pytest.raises(AddressRefused, match="LD_WEBHOOK_ALLOW"):
        check("https://hooks.partner.example/in", NOTHING, resolving(address))
    with pytest.raises(AddressRefused):
        connectable(check("https://hooks.partner.example/in", NOTHING, resolving()), NOTHING, resolving(address))


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_name_that_leads_to_the_public_internet_is_taken(address):
    place = check("https://hooks.partner.example/in", NOTHING, resolving(address))
    assert list(connectable(place, NOTHING, resolving(address))) == [address]


def test_one_wrong_address_among_good_ones_is_enough():
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        check("https://hooks.partner.example/in", NOTHING, resolving("1.1.1.1", "10.0.0.1"))


REFUSED_URLS = [
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
    "https://017700000001/", "https://0/", "https://0x/", "https://127.0.0.1./", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::]/",
    "https://[fe80::1%25eth0]/", "https://[2606:4700::1%25eth0]/", "https://[v1.x]/", "https://127.0.0.1.5/", "https://1.1.1.0x1/",
    "https://localhost/", "https://localhost./", "https://LOCALHOST/", "http://hooks.partner.example/", "http://1.1.1.1/",
    "ftp://hooks.partner.example/", "file:///etc/passwd", "gopher://hooks.partner.example/", "javascript:alert(1)",
    "//hooks.partner.example/",    "hooks.partner.example/in", "", "https://", "https:///in", "https://:443/", "https://user@hooks.partner.example/",
    "https://user:word@hooks.partner.example/", "https://hooks.partner.example@127.0.0.1/", "https://hooks.partner.example\\@127.0.0.1/",
    "https://hooks.partner.example:0/", "https://hooks.partner.example:65536/", "https://hooks.partner.example:x/",
    "https://hooks.partner.example /", "https://hooks\n.partner.example/", "https://hooks.partner.example/\r\nHost: x", "https://hooks%2epartner.example/",
    "https://①②⑦.⓪.⓪.①/", "https://hööks.example/", "https://hooks。partner。example/", "https://-hooks.example/", "https://hooks..example/",
    "https://hooks.example/" + "x" * 2000, "https://" + "a." * 130 + "example/", "https://169.254.169.254/latest/meta-data/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_leads_inside_or_could_be_read_in_two_ways_is_refused(url):
    loopback = {"localhost": ("127.0.0.1",)}

    def resolve(host, _port):
        return loopback.get(host) or ([host] if host[0].isdigit() or ":" in host else ["1.1.1.1"])

    with pytest.raises(AddressRefused) as refused:
        check(url, NOTHING, resolve)
    assert str(refused.value).endswith((".", "]."))


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://hooks.partner.example/in?key=1", "hooks.partner.example", 443),
        ("https://Hooks.Partner.Example.:8443", "hooks.partner.example", 8443),
        ("https://xn--hks-snaa.example/", "xn--hks-snaa.example", 443),
        ("https://1.1.1.1/", "1.1.1.1", 443),
        ("https://[2606:4700::1111]:444/", "2606:4700::1111", 444),
        ("https://build_server.partner.example/", "build_server.partner.example", 443),
    ],
)
def test_a_url_leads_where_everybody_reads_that_it_leads(url, host, port):
    place = check(url, NOTHING, resolving("1.1.1.1"))
    assert (place.host, place.port) == (host, port)


def test_a_name_that_does_not_resolve_yet_may_be_registered():
    assert check("https://hooks.partner.example/", NOTHING, resolving()).host == "hooks.partner.example"


def test_a_name_that_leads_elsewhere_after_it_was_registered_is_not_connected_to():
    place = check("https://hooks.partner.example/", NOTHING, resolving("1.1.1.1"))
    with pytest.raises(AddressRefused, match="this machine itself"):
        connectable(place, NOTHING, resolving("127.0.0.1"))


def allowing(text: str) -> Allowed:
    return allowed_by(Settings(webhook_allow=text))


@pytest.mark.parametrize("allow", ["127.0.0.1", "127.0.0.0/8", "localhost", " LocalHost. , 10.0.0.0/8"])
def test_the_operator_can_allow_hosts_addresses_and_networks_for_which_http_will_do(allow):
    place = check("http://localhost:8080/in", allowing(allow), resolving("127.0.0.1"))
    assert list(connectable(place, allowing(allow), resolving("127.0.0.1"))) == ["127.0.0.1"]


def test_what_is_allowed_is_allowed_alone():
    allowed = allowing("10.1.0.0/16,inside.example")
    for url, address in (
        ("https://other.example/", "10.2.0.1"),
        ("https://other.example/", "127.0.0.1"),
        ("https://sub.inside.example/", "10.2.0.1"),
    ):
        with pytest.raises(AddressRefused):
            check(url, allowed, resolving(address))
    with pytest.raises(AddressRefused, match="http is for hosts alone"):
        check("http://other.example/", allowed, resolving("1.1.1.1"))
    with pytest.raises(AddressRefused, match="http is for hosts alone"):
        check("http://other.example/", allowed, resolving())


@pytest.mark.parametrize("allow", ["10.0.0.1/8", "http://localhost", "a b", "*", "127.0.0.1:8080"])
def test_an_entry_that_cannot_be_read_is_told_at_the_start(allow):
    with pytest.raises(InvalidSetting, match="LD_WEBHOOK_ALLOW"):
        allowing(allow)
