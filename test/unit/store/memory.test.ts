// The store in memory keeps the contract of a store.
import { auditContract } from "../../contract/store/auditContract.ts";
import { storeContract } from "../../contract/store/contract.ts";
import { leaseContract } from "../../contract/store/leaseContract.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";

storeContract("the store in memory", openMemoryStore);
leaseContract("the store in memory", openMemoryStore);
auditContract("the store in memory", openMemoryStore);
