// The answer to an ADD, in the words of each version of the specification. An earlier result (if Weft runs behind
// another plugin of a list) stays as it is, and Weft's is added to it. Pure.
import { WEFT_ROUTE_METRIC } from "../../datapath/kinds/entries.ts";
import type { Attachment } from "../../model/status.ts";
import { isObject, type Json } from "./fold.ts";
import type { Dns, Version } from "./request.ts";

/** The interface and everything on it; earlier entries keep their places, so their indexes stay right. */
export function resultOf(version: Version, attachment: Attachment, dns: Dns, before: Json | undefined): Json {
  const interfaces = listIn(before, "interfaces");
  const { spec, mtu, interfaceAddresses, gateways, routes } = attachment;
  const own = {
    name: spec.ifname,
    mac: spec.mac,
    ...(version === "1.1.0" ? { mtu } : {}),
    sandbox: spec.netns,
  };
  const ips = interfaceAddresses.map((address) => {
    const isSix = address.includes(":");
    const gateway = gateways.find((one) => one.includes(":") === isSix);
    return {
      ...(isBefore1(version) ? { version: isSix ? "6" : "4" } : {}),
      interface: interfaces.length,
      address,
      ...(gateway === undefined ? {} : { gateway }),
    };
  });
  const { dns: dnsBefore } = before ?? {};
  return {
    ...before,
    cniVersion: version,
    interfaces: [...interfaces, own],
    ips: [...listIn(before, "ips"), ...ips],
    routes: [...listIn(before, "routes"), ...routes.map((route) => routeOf(route, version))],
    // The network's own name servers count only if no others were given.
    dns: {
      ...(attachment.dns.length === 0 ? {} : { nameservers: attachment.dns }),
      ...(isObject(dnsBefore) ? dnsBefore : {}),
      ...dns,
    },
  };
}

/** `10.7.0.0/16 via 10.7.1.1`. */
function routeOf(text: string, version: Version): Json {
  const [dst = "", gw = ""] = text.split(" via ");
  return { dst, gw, ...(version === "1.1.0" ? { priority: WEFT_ROUTE_METRIC } : {}) };
}

/** Before 1.0.0 an address carried its family. */
function isBefore1(version: Version): boolean {
  return version.startsWith("0.");
}

export function listIn(result: Json | undefined, key: string): readonly Json[] {
  const list = result?.[key];
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** What a result lacks of an attachment, a line each. Later plugins of a list may have added to the result. */
export function lacking(result: Json, { spec, interfaceAddresses }: Attachment): readonly string[] {
  const interfaces = listIn(result, "interfaces");
  const own = interfaces.findIndex((one) => one["name"] === spec.ifname && (one["sandbox"] ?? "") !== "");
  if (own < 0) return [`prevResult has no interface ${spec.ifname} in a sandbox`];
  const said = listIn(result, "ips").filter((ip) => ip["interface"] === own);
  return interfaceAddresses
    .filter((address) => !said.some((ip) => ip["address"] === address))
    .map((address) => `prevResult lacks ${address}, which Weft gave`);
}
