// The namespace of a VRF. It is ours by its file's prefix and by the alias of lo, `weft:netns:<prefix>:<VRF>`: the file
// may be another's, and two agents of one machine share /run/netns.
import type { Ns } from "../../datapath/kinds/kind.ts";
import { type Netns, isVrfNs } from "../../datapath/kinds/namespaces.ts";
import { sysctlsOf } from "./sysctl.ts";
import { aloneKind } from "./kind.ts";

/** Sysctls of a new namespace that are not 0. */
const FRESH_SYSCTLS: Readonly<Record<string, string>> = {
  "ipv6/conf/default/accept_dad": "1",
  "ipv6/conf/default/accept_ra": "1",
  "bridge/bridge-nf-call-iptables": "1",
  "bridge/bridge-nf-call-ip6tables": "1",
  "bridge/bridge-nf-call-arptables": "1",
};

const standing = ({ ns }: { readonly ns: Ns }): readonly Netns[] => (isVrfNs(ns) ? [{ kind: "netns", ns }] : []);

export const netns = aloneKind<Netns>({
  way: { put: "call", remove: "namespaces" },
  call: ({ object }, namespaces) => namespaces.create(object.ns.slice("vrf:".length)),
  standing,
  fake: {
    run(machine, { op, object: { ns } }) {
      if (op === "remove") {
        if (machine.space(ns).isOurs) machine.removeSpace(ns);
        return;
      }
      machine.addSpace(ns, true);
      const { sysctls } = machine.space(ns);
      for (const key of sysctlsOf(ns)) sysctls.set(key, FRESH_SYSCTLS[key] ?? "0");
    },
    plant: (machine, { ns }) => machine.addSpace(ns, false),
    disturb: (machine, { ns }) => machine.removeSpace(ns),
    has: (space) => space !== undefined,
    standing,
  },
});
