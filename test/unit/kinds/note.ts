// For tests: a made-up kind with a rule of its own. A note is pinned to a network, is seen by hosts that carry it, and
// no network has the same text twice.
import { Fault } from "../../../src/model/fault.ts";
import type { KindRecord, Reader } from "../../../src/model/kind.ts";
import { type Value, Text, oneOf, optional, strictObject } from "../../../src/model/schema.ts";

const NoteSpec = strictObject({
  network: Text("The network it is pinned to."),
  text: Text("What it says."),
  urgency: oneOf(["low", "high"]),
});
const NoteInput = strictObject({ ...NoteSpec.properties, urgency: optional(NoteSpec.properties.urgency) });

export const note = {
  spec: NoteSpec,
  seenBy: { carriersOf: "network" },
  refersTo: { network: "network" },
  put: {
    input: NoteInput,
    order: 5,
    summary: "Pins a note to a network.",
    canonical: (input: Value<typeof NoteInput>) => ({ ...input, text: input.text.trim() }),
    complete: (input: Value<typeof NoteInput>) => ({ urgency: "low", ...input }),
    admit: checkText,
  },
  remove: "plain",
  columns: ["network", "text"],
} as const satisfies KindRecord;

function checkText({ network, text }: Value<typeof NoteSpec>, reader: Reader, name: string): void {
  const twin = reader
    .all(note)
    .find((each) => each.name !== name && each.spec.network === network && each.spec.text === text);
  if (twin === undefined) return;
  throw new Fault("name-taken", {
    what: `note "${twin.name}" says "${text}" already`,
    where: "spec.text",
    fix: "say something else",
  });
}
