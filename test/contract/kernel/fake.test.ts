// The fake kernel keeps the contract of a kernel.
import { FakeKernel } from "../../../src/kernel/fake.ts";
import { KINDS } from "./kinds.ts";
import { OTHERS } from "./others.ts";
import { PORTS } from "./ports.ts";
import { REFUSALS } from "./refusals.ts";
import { STATE } from "./state.ts";
import { testContract, type World } from "./world.ts";

let workloads = 0;

function makeWorld(): Promise<World> {
  const kernel = new FakeKernel();
  const lan = { kind: "bridge", ns: "host", name: "lan0", mtu: 1500, mac: "02:00:00:00:00:98", alias: "" } as const;
  kernel.plant(lan);
  return Promise.resolve({
    kernel,
    start: () => undefined,
    restart: () => new FakeKernel({}, kernel),
    workload() {
      const path = `/run/netns/w${++workloads}` as const;
      kernel.addWorkload(path);
      return Promise.resolve(path);
    },
    removeWorkload: (path) => Promise.resolve(kernel.removeWorkload(path)),
    plant: (object) => Promise.resolve(kernel.plant(object)),
    has: (object) => Promise.resolve(kernel.has(object)),
    isStillThere: (object) => Promise.resolve(kernel.has(object)),
    disturb: (object) => Promise.resolve(kernel.disturb(object)),
    addElement: (ns) => Promise.resolve(kernel.disturb({ kind: "nft", ns, digest: "", body: "" })),
    close: () => Promise.resolve(kernel.close()),
  });
}

for (const contract of [KINDS, STATE, OTHERS, REFUSALS, PORTS]) testContract("fake", contract, makeWorld);
