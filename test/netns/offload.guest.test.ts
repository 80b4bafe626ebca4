// Checksums inside GRE, with a network card that gets them wrong, on a kernel that has GRE.
import { inGuest } from "../guest/inGuest.ts";
import { offloadTests } from "./lab/offloadSuite.ts";

await inGuest(import.meta.filename, () => offloadTests("gre"));
