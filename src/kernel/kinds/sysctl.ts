// A sysctl is Weft's if its key is one of sysctlsOf(), whatever its value.
import type { Sysctl } from "../../datapath/kinds/namespaces.ts";
import { sysctlsOf } from "../ownership.ts";
import { readSysctls, writeSysctl } from "../sysctl.ts";
import { refuse } from "./fake.ts";
import { aloneKind } from "./kind.ts";

export const sysctl = aloneKind<Sysctl>({
  way: { put: "call", remove: "call" },
  call({ op, object: { ns, key, value } }, { namespaces, inside }) {
    // What Weft no longer needs stays as it is: others may rely on it by now.
    if (op !== "remove") inside(ns, (space) => writeSysctl(namespaces, space, key, value));
  },
  standing: (space, { namespaces }) =>
    readSysctls(namespaces, space).map(([key, value]) => ({ kind: "sysctl", ns: space.ns, key, value })),
  fake: {
    run(machine, { op, object: { ns, key, value } }) {
      if (op === "remove") return;
      const { sysctls } = machine.space(ns);
      if (!sysctlsOf(ns).includes(key)) refuse("unsupported", `Weft does not set net/${key} in ${ns}`);
      sysctls.set(key, value);
    },
    plant: (machine, { ns, key, value }) => void machine.space(ns).sysctls.set(key, value),
    disturb: (machine, { ns, key, value }) => void machine.space(ns).sysctls.set(key, value === "1" ? "0" : "1"),
    has: (space, { key, value }) => space?.sysctls.get(key) === value,
    standing: ({ ns, sysctls }) => [...sysctls].map(([key, value]) => ({ kind: "sysctl", ns, key, value })),
  },
});
