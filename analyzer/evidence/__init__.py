"""What a recording shows, brought together and in order, before anything is predicted or compared.

Its tables, its captures as connections, each director's part, who forwards, and the gaps. It draws
no conclusions.
"""
