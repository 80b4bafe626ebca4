// Names of endpoints, and of interfaces in workloads' namespaces, which they are made of. A host gives names also while
// the server is away; the server has those of all hosts (decision 24).
import { Fault } from "./fault.ts";
import { checkName } from "./parse.ts";
import { endpointName } from "./resource.ts";

/** Of a local network's endpoint whose name another host's endpoint has already. On its host it has its plain name. */
export function qualifiedName(name: string, host: string): string {
  return `${name}@${host}`;
}
/** What an endpoint is called on its host. */
export function nameOnHost({ owner, ifname }: { readonly owner: string; readonly ifname: string }): string {
  return endpointName(owner, ifname);
}
/** The same, from the server's name for it. */
export function plainName(name: string, host: string): string {
  const suffix = qualifiedName("", host);
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/**
 * What Linux, CNI and people agree on: IFNAMSIZ is 16 with the closing zero; a percent sign would be a pattern that the
 * kernel completes (`eth%d`), and a zero byte would end the name early. The rest is unkind to shells and to paths.
 */
const FORM = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}$/;
/** The loopback that is always there, and what sysctl calls all interfaces and those to come. */
const TAKEN: ReadonlySet<string> = new Set(["lo", "all", "default"]);

export const IFNAME_RULE =
  "an interface has 1 to 15 letters, digits, dots, dashes and underscores, begins with a letter or digit, and is not " +
  [...TAKEN].join(", ");

export function isIfname(text: string): boolean {
  return FORM.test(text) && !TAKEN.has(text);
}

/** What a link's alias carries whole, behind Weft's mark and within the 255 bytes of the kernel's IFALIASZ. */
const ENDPOINT_MAX = 240;

/** The name of an owner's endpoint; a Fault `name-invalid` if the interface, the owner, or both together do not do. */
export function checkEndpointName(owner: string, ifname: string): string {
  if (!isIfname(ifname)) {
    const what = `${JSON.stringify(ifname.slice(0, 40))} cannot be the name of an interface`;
    throw new Fault("name-invalid", { what, where: "ifname", why: IFNAME_RULE, fix: "choose a name like eth1" });
  }
  checkName("endpoint", owner, "owner");
  const name = endpointName(owner, ifname);
  if (name.length <= ENDPOINT_MAX) return name;
  throw new Fault("name-invalid", {
    what: `"${owner.slice(0, 40)}…" is too long to be the owner of an endpoint`,
    where: "owner",
    why: `the port carries the endpoint's name, owner and interface, and has room for ${ENDPOINT_MAX} characters`,
    fix: `choose one of at most ${ENDPOINT_MAX - ifname.length - 1} characters`,
  });
}
