// Names of interfaces in workloads' namespaces, and of the endpoints they make: one judgement for every door.
import { Fault } from "./fault.ts";
import { checkName } from "./parse.ts";
import { endpointName } from "./resource.ts";

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

/** The name itself; a Fault `name-invalid`. */
function checkIfname(text: string, where: string): string {
  if (isIfname(text)) return text;
  throw new Fault("name-invalid", {
    what: `${JSON.stringify(text.slice(0, 40))} cannot be the name of an interface`,
    where,
    why: IFNAME_RULE,
    fix: "choose a name like eth1",
  });
}

/** What a link's alias carries whole, behind Weft's mark and within the 255 bytes of the kernel's IFALIASZ. */
const ENDPOINT_MAX = 240;

/** The name of an owner's endpoint; a Fault `name-invalid` if the interface, the owner, or both together do not do. */
export function checkEndpointName(owner: string, ifname: string): string {
  checkIfname(ifname, "ifname");
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
