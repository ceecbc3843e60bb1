"""The gate (数据海关): declare, classify, decide, release or hold or refuse, and leave a receipt."""
