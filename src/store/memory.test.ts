import { storeContract } from "./contract.ts";
import { leaseContract } from "./leaseContract.ts";
import { openMemoryStore } from "./memory.ts";

storeContract("the store in memory", openMemoryStore);
leaseContract("the store in memory", openMemoryStore);
