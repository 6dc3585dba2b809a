# Scrapes /metrics over the socket that is named, and prints what an independent parser reads there.
import json
import socket
import sys
from http.client import HTTPConnection

from prometheus_client.openmetrics.parser import text_string_to_metric_families


class Connection(HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


connection = Connection("fw-ctl")
connection.request("GET", sys.argv[2])
response = connection.getresponse()
text = response.read().decode()
families = [
    {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [
            {"name": sample.name, "labels": sample.labels, "value": sample.value}
            for sample in family.samples
        ],
    }
    for family in text_string_to_metric_families(text)
]
json.dump({"content_type": response.headers["content-type"], "families": families}, sys.stdout)
