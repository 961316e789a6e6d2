"""Runs a program that fails the first three times: it is killed, reports garbage, or reports nothing. The arguments are the
command of the program."""
import os
import subprocess
import sys
import time

counter = os.environ["STARTS"]
fd = os.open(counter, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
os.write(fd, b".")
start = os.lseek(fd, 0, os.SEEK_CUR)
os.close(fd)
if start == 2:
    with open(os.environ["SWEEP_REPORT"], "w") as report:
        report.write("\x00\xffloss=nan step\n")
if start == 3:
    time.sleep(1000)
child = subprocess.Popen(sys.argv[1:])
if start == 1:
    # Not before it works.
    folder = os.path.join(os.path.dirname(os.environ["SWEEP_TRIAL"]), "..", "checkpoints")
    while child.poll() is None and not os.listdir(folder):
        time.sleep(0.02)
    time.sleep(0.1)
    child.kill()
    os.abort()
sys.exit(child.wait())
