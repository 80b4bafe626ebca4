// Asks whether a caller may make a write: before admission by what the write names, and after it by what it changes.
import { Fault } from "../../model/fault.ts";
import type { Admission } from "../admit/admit.ts";
import type { View } from "../state/view.ts";
import type { Identity, Write } from "../write.ts";

/** Admits a write if the caller may make it; throws a Fault `forbidden` otherwise. */
export function judged(_view: View, write: Write, by: Identity, admit: () => Admission): Admission {
  if (by.role !== "user") return admit();
  throw new Fault("forbidden", {
    what: `user "${by.user}" may not ${write.verb}`,
    fix: "ask an administrator",
  });
}
