"""The relay as a process: ``python -m vmi_relay``."""

from vmi_relay import relay
from vmi_runtime import process
from vmi_runtime.worker import Worker

WORKER = Worker("relay", tasks=(relay.run,))

if __name__ == "__main__":
    process.main(WORKER)
