"""The one flag that says that this process is about to stop.

dramatiq would interrupt a job with an asynchronous exception, which native code does not notice and which
could strike in the middle of a write. A flag that the running job looks at costs nothing and strikes nowhere.
"""

import threading

stopping = threading.Event()
