// Which refusals of requests the audit log gets: of writes every one, of reads those for lack of a credential or right.
import { recordedCaller } from "../control/audit/entry.ts";
import type { Control } from "../control/control.ts";
import type { Caller } from "../control/write.ts";
import { Fault, REASONS } from "../model/fault.ts";

type Request = {
  readonly method: string;
  /** As its route has it: what was really asked for may contain anything. */
  readonly path: string;
  readonly name?: string;
  /** Undefined: it showed no valid credential. */
  readonly caller?: Caller | undefined;
  readonly from: string;
};

/** Tells the audit log. What the control plane has refused it knows already. */
export function recordRefusal(control: Control, { method, path, name = "", caller, from }: Request, error: unknown) {
  const status = error instanceof Fault ? REASONS[error.reason].status : 500;
  if (method === "GET" && status !== 401 && status !== 403) return;
  const by = caller === undefined ? { who: "nobody", credential: "none", from } : recordedCaller(caller);
  const [, kind] = /^\/v1\/(\w+?)s?\/\{name\}/.exec(path) ?? [];
  const object = name === "" || caller === undefined ? undefined : `${kind ?? ""}/${name}`;
  control.audit.refusedFirst(by, { verb: `${method} ${path}`, ...(object === undefined ? {} : { object }) }, error);
}
