// VXLAN devices of other programs on a UDP port that Weft's tunnels use here. What arrives there and is none of Weft's
// is dropped, so that no machine puts frames into a network; such a device then hears nothing, and a person is told.
import type { KernelState } from "../../datapath/state/state.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Snapshot } from "../../model/resource.ts";

/** How long what was found is used: there may be many rounds in a second. */
const FRESH_MS = 10_000;

export type OtherTunnelsOptions = {
  readonly kernel: Pick<Kernel, "otherVxlans">;
  readonly clock: Clock;
};

export class OtherTunnels {
  readonly #options: OtherTunnelsOptions;
  #found: { readonly of: string; readonly atMs: number; readonly lines: readonly string[] } | undefined;

  constructor(options: OtherTunnelsOptions) {
    this.#options = options;
  }

  get conditions(): readonly string[] {
    return this.#found?.lines ?? [];
  }

  /** Call in each round with what it desires; `snapshot` says which VRF has which port. */
  look(desired: KernelState, { vrfs }: Snapshot): void {
    const { kernel, clock } = this.#options;
    const ports = new Set([...desired.values()].flatMap((one) => (one.kind === "vxlan" ? [one.port] : [])));
    const of = [...ports].sort((a, b) => a - b).join();
    const nowMs = clock.monotonicMs();
    if (this.#found?.of === of && nowMs - this.#found.atMs < FRESH_MS) return;
    const met = ports.size === 0 ? [] : kernel.otherVxlans().filter(({ port }) => ports.has(port));
    const lines = met.map(({ name, port }) => {
      const [vrf] = vrfs.filter(({ spec }) => spec.tunnelPort === port);
      return unheardText(name, port, vrf?.name ?? "VRF");
    });
    this.#found = { of, atMs: nowMs, lines };
  }
}

function unheardText(device: string, port: number, vrf: string): string {
  return (
    `VXLAN device ${device}, which is not Weft's, uses UDP port ${port} as Weft's tunnels do: this host lets only ` +
    `packets of Weft's networks in there, so ${device} receives nothing; make it with another port, or give Weft one ` +
    `(weft vrf edit ${vrf} --tunnel-port PORT)`
  );
}
