// The underlay address, to which other hosts send tunnel packets. An address that was given (`--underlay`) stays; one
// that the agent found by itself is looked up again when the host no longer has it (DHCP, another NIC).
import type { Kernel } from "../../kernel/kernel.ts";
import { Fault } from "../../model/fault.ts";

type UnderlayOptions = {
  readonly kernel: Pick<Kernel, "underlayMtu">;
  /** The address when the agent starts. */
  readonly address: string;
  /** Finds the source address of packets to the server; absent if the address was given. */
  readonly find?: () => Promise<string | undefined>;
};

export class Underlay {
  readonly #options: UnderlayOptions;
  #address: string;

  constructor(options: UnderlayOptions) {
    this.#options = options;
    this.#address = options.address;
  }

  /** The address now, with the MTU of its link. Throws a Fault `address-invalid` while the host has none. */
  async now(): Promise<{ readonly underlay: string; readonly underlayMtu: number }> {
    const { kernel, find } = this.#options;
    // It stays while the host has it: with two routes to the server, tunnels must not change whenever the routes do.
    const mtu = kernel.underlayMtu(this.#address);
    if (mtu !== undefined) return { underlay: this.#address, underlayMtu: mtu };
    const found = await find?.();
    const foundMtu = found === undefined ? undefined : kernel.underlayMtu(found);
    if (found === undefined || foundMtu === undefined) throw this.#gone();
    this.#address = found;
    return { underlay: found, underlayMtu: foundMtu };
  }

  #gone(): Fault {
    const isGiven = this.#options.find === undefined;
    return new Fault("address-invalid", {
      what: `this host does not have the address ${this.#address}`,
      where: "--underlay",
      why: "tunnel packets of other hosts do not arrive here",
      fix: isGiven
        ? "add the address to the host, give another --underlay, or leave it out"
        : "see to an address with a route to the server: the agent takes it by itself",
    });
  }
}
