// What the host itself has on a device of its own, as the kernel has it now: what it would lose if the device became a
// port of a bridge. The server's word on it may be old: an agent starts without the server, too.
import type { Space } from "./namespaces.ts";
import { allAddresses, allRoutes } from "./netlink/entry.ts";
import type { LinkInfo } from "./netlink/link.ts";

/** Addresses that others can send to, and default routes. */
export function usesOfHost({ socket }: Space, { index }: LinkInfo): readonly string[] {
  const isOn = (one: { readonly index: number }) => one.index === index;
  const addresses = socket.list(allAddresses, (one) => isOn(one) && !/^fe[89ab]/.test(one.ip));
  const routes = socket.list(allRoutes(0), (one) => isOn(one) && one.isUnicast && one.dst.endsWith("/0"));
  return [...addresses.map(({ ip, length }) => `${ip}/${length}`), ...routes.map(({ dst }) => `the route ${dst}`)];
}
