"""Which proxy stands before an endpoint: by the environment's usual variables, read once for each endpoint."""

# The second is documented beside the first, though its types do not know it.
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from yarl import URL


def proxy_for(url: URL) -> URL | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY name, unless NO_PROXY excepts the host; None without one."""
    proxies = getproxies_environment()
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named or proxy_bypass_environment(f"{url.host}:{url.port}", proxies):
        return None
    return URL(named if "://" in named else f"http://{named}")
