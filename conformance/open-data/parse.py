"""Run by the interpreter that has CKAN: reads a catalogue from URL with ckanext-dcat, prints the datasets as JSON."""

import json
import sys
import urllib.request

from ckanext.dcat.processors import RDFParser

url, form = sys.argv[1:3]
found, pages = [], 0
while url:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content = answer.read().decode()
    parser = RDFParser(profiles=["euro_dcat_ap_3"])
    parser.parse(content, _format=form)
    found += parser.datasets()
    url = parser.next_page()
    pages += 1
json.dump({"pages": pages, "datasets": found}, sys.stdout)
