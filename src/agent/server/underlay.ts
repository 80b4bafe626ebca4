// The address that other hosts send this host's tunnel packets to. One that was given (`--underlay`) is a person's word
// and stays; one that the agent found itself is found anew when the host no longer has it (DHCP, another NIC).
import { Fault } from "../../model/fault.ts";
import type { Kernel } from "../../kernel/kernel.ts";

type UnderlayOptions = {
  readonly kernel: Pick<Kernel, "underlayMtu">;
  /** What it is as the agent starts. */
  readonly address: string;
  /** The address that packets to the server leave with; absent if the address was given and is not to be looked for. */
  readonly find?: () => Promise<string | undefined>;
};

export class Underlay {
  readonly #options: UnderlayOptions;
  #address: string;

  constructor(options: UnderlayOptions) {
    this.#options = options;
    this.#address = options.address;
  }

  /** The address now, with the MTU of its link. Throws a Fault `address-invalid` while the host has none to give. */
  async now(): Promise<{ readonly underlay: string; readonly underlayMtu: number }> {
    const { kernel, find } = this.#options;
    // As long as the host has it, it stays: two ways to the server must not make the tunnels change with the routes.
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
