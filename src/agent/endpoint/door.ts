// The local API's two verbs, attach and detach. Calls for one endpoint run one after another, also after a failure.
import type { AttachRequest, Attachment } from "../../model/status.ts";
import { checkEndpointName } from "../../model/ifname.ts";
import type { Entry } from "../journal/journal.ts";
import type { Attacher, By } from "./attach.ts";
import { named } from "./claim.ts";
import type { Detacher } from "./detach.ts";

export class Door {
  readonly #attacher: Pick<Attacher, "attach">;
  readonly #detacher: Pick<Detacher, "detach">;
  readonly #lastCalls = new Map<string, Promise<void>>();

  constructor(attacher: Pick<Attacher, "attach">, detacher: Pick<Detacher, "detach">) {
    this.#attacher = attacher;
    this.#detacher = detacher;
  }

  /** See Attacher. Throws a Fault at once if the request names no possible endpoint. */
  attach(request: AttachRequest, by: By = {}): Promise<Attachment> {
    const full = named(request);
    return this.#inTurn(checkEndpointName(full.owner, full.ifname), () => this.#attacher.attach(full, by));
  }

  /** See Detacher. Succeeds if there is no such endpoint; `isMeant` looks at it when the turn has come. */
  detach(name: string, isMeant: (entry: Entry) => boolean = () => true): Promise<void> {
    return this.#inTurn(name, () => this.#detacher.detach(name, isMeant));
  }

  #inTurn<T>(name: string, call: () => Promise<T>): Promise<T> {
    const before = this.#lastCalls.get(name);
    const result = before === undefined ? call() : before.then(call);
    const ended = result.then(
      () => undefined,
      () => undefined,
    );
    this.#lastCalls.set(name, ended);
    void ended.then(() => {
      if (this.#lastCalls.get(name) === ended) this.#lastCalls.delete(name);
    });
    return result;
  }
}
