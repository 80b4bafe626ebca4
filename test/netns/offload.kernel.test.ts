// Checksums inside VXLAN, with a network card that gets them wrong.
import { whyNoKernelTests } from "../runner/machine.ts";
import { offloadTests } from "./lab/offloadSuite.ts";

offloadTests("vxlan", whyNoKernelTests() ?? false);
