// Which endpoint of this host has which port. Ports are named by a hash of the endpoint's name. If a new endpoint's
// port would have the name of another's, the attach is refused.
import { portName } from "../../datapath/state/names.ts";
import { Fault } from "../../model/fault.ts";

/** So many names of detached endpoints may stay in the map. */
const SPARE = 1000;

export class PortNames {
  readonly #owners = new Map<string, string>();
  readonly #portOf: (endpoint: string) => string;

  constructor(portOf: (endpoint: string) => string = portName) {
    this.#portOf = portOf;
  }

  /** Records the port of an endpoint that is being attached; throws a Fault if another has it. */
  take(name: string, there: ReadonlyMap<string, unknown>, isOnItsWay: (name: string) => boolean): void {
    if (this.#owners.size === 0 || this.#owners.size > 2 * there.size + SPARE) this.#read(there.keys());
    const port = this.#portOf(name);
    const other = this.#owners.get(port);
    if (other !== undefined && other !== name && (there.has(other) || isOnItsWay(other)))
      throw new Fault("name-taken", {
        what: `endpoint "${name}" would have the port ${port}, which is that of "${other}"`,
        where: "owner",
        why: "ports are named by a hash of owner and interface, and these two have the same",
        fix: "choose another owner (--name)",
      });
    this.#owners.set(port, name);
  }

  #read(names: Iterable<string>): void {
    this.#owners.clear();
    for (const name of names) this.#owners.set(this.#portOf(name), name);
  }
}
